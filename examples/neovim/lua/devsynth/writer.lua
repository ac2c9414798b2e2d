-- Writes text into a buffer piece by piece, at a place that moves with what is edited around it.
-- All pieces are one undo step, unless somebody else changes the buffer in between. A cursor at the
-- end of the text goes along with it, as if it were typed.

local namespace = vim.api.nvim_create_namespace('devsynth')

local Writer = {}
Writer.__index = Writer

--- @param row number from 0
--- @param col number in bytes, from 0
function Writer.new(buffer, row, col)
  local function mark(moves)
    return vim.api.nvim_buf_set_extmark(buffer, namespace, row, col, { right_gravity = moves })
  end
  return setmetatable({ buffer = buffer, first = mark(false), last = mark(true) }, Writer)
end

--- Return where the written text ends, or with *which* 'first' begins: row and column from 0.
function Writer:place(which)
  local mark = self[which or 'last']
  local row, col = unpack(vim.api.nvim_buf_get_extmark_by_id(self.buffer, namespace, mark, {}))
  local last_row = vim.api.nvim_buf_line_count(self.buffer) - 1
  if row > last_row then -- the line of the mark was the last one, and was deleted
    return last_row, #vim.api.nvim_buf_get_lines(self.buffer, last_row, last_row + 1, true)[1]
  end
  return row, col
end

local function inserts(window)
  local here = window == vim.api.nvim_get_current_win()
  return here and vim.api.nvim_get_mode().mode:find('^[iR]') ~= nil
end

--- Return the windows whose cursor is at the end: in Insert mode there, else on a character by it.
function Writer:followers()
  local row, col = self:place()
  local line = vim.api.nvim_buf_get_lines(self.buffer, row, row + 1, true)[1]
  return vim.tbl_filter(function(window)
    local cursor = vim.api.nvim_win_get_cursor(window)
    if cursor[1] ~= row + 1 or cursor[2] > col then
      return false
    end
    local between = vim.fn.strchars(line:sub(cursor[2] + 1, col))
    return between == 0 or between == 1 and not inserts(window)
  end, vim.fn.win_findbuf(self.buffer))
end

function Writer:take_along(windows)
  local row, col = self:place()
  local line = vim.api.nvim_buf_get_lines(self.buffer, row, row + 1, true)[1]
  local on_last = col - #vim.fn.matchstr(line:sub(1, col), '.$')
  for _, window in ipairs(windows) do
    vim.api.nvim_win_set_cursor(window, { row + 1, inserts(window) and col or on_last })
  end
end

--- Write *text* and return true; false if that makes no sense any more: the buffer is gone or
--- locked, or what was written before has been undone or deleted.
function Writer:write(text)
  if not vim.api.nvim_buf_is_loaded(self.buffer) or not vim.bo[self.buffer].modifiable then
    return false
  end
  local row, col = self:place()
  local first_row, first_col = self:place('first')
  if self.tick and row == first_row and col == first_col then
    return false
  end
  local followers = self:followers()
  vim.api.nvim_buf_call(self.buffer, function()
    if self.tick == vim.api.nvim_buf_get_changedtick(self.buffer) then
      pcall(vim.cmd, 'undojoin') -- not possible right after an undo: then it is a step of its own
    else
      vim.cmd('let &g:undolevels = &g:undolevels') -- ends the undo step before
    end
    local lines = vim.split(text, '\n', { plain = true })
    vim.api.nvim_buf_set_text(self.buffer, row, col, row, col, lines)
  end)
  self.tick = vim.api.nvim_buf_get_changedtick(self.buffer)
  self:take_along(followers)
  return true
end

--- Forget the place.
function Writer:close()
  if vim.api.nvim_buf_is_valid(self.buffer) then
    vim.api.nvim_buf_del_extmark(self.buffer, namespace, self.first)
    vim.api.nvim_buf_del_extmark(self.buffer, namespace, self.last)
  end
end

return Writer
