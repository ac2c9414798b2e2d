-- The text around a place in a buffer, as much of it as a model is to see. Never cuts a character.

local M = {}

local function line_at(buffer, row)
  return vim.api.nvim_buf_get_lines(buffer, row, row + 1, true)[1]
end

--- Return the text before the place, at most *max_bytes* of it. Row and column count from 0.
function M.before(buffer, row, col, max_bytes)
  local text = line_at(buffer, row):sub(1, col)
  while row > 0 and #text < max_bytes do
    row = row - 1
    text = line_at(buffer, row) .. '\n' .. text
  end
  if #text > max_bytes then
    text = text:sub(-max_bytes):gsub('^[\128-\191]+', '')
  end
  return text
end

--- Return the text after the place, at most *max_bytes* of it.
function M.after(buffer, row, col, max_bytes)
  local text = line_at(buffer, row):sub(col + 1)
  while row + 1 < vim.api.nvim_buf_line_count(buffer) and #text < max_bytes do
    row = row + 1
    text = text .. '\n' .. line_at(buffer, row)
  end
  while #text > max_bytes do
    local cut = text:sub(1, max_bytes)
    if text:find('^[\128-\191]', max_bytes + 1) then -- in the middle of a character
      cut = cut:gsub('[\192-\255]?[\128-\191]*$', '')
    end
    text = cut
  end
  return text
end

return M
