-- Ask, complete, cancel and select, with the answers of devsynthd. See :help devsynth

local Pipe = require('devsynth.pipe')
local Writer = require('devsynth.writer')
local surroundings = require('devsynth.surroundings')

local M = {}

local settings = {
  command = { 'devsynthctl', 'pipe' },
  model = nil, -- the daemon's choice
  complete = {
    before = 8000, -- bytes of text that the model sees
    after = 4000,
    max_tokens = 256,
    suffix = true, -- false: it never sees what follows the cursor
  },
}

local pipe = Pipe.new(settings.command)
local running = {} -- by id: the buffer that an answer is written to
local cannot_fill = false -- the server has said that it does not know how to fill a gap

--- Change settings; those that are left out keep their values.
function M.setup(given)
  settings = vim.tbl_deep_extend('force', settings, given or {})
  pipe.command = settings.command
end

local function tell(text, level)
  vim.notify('devsynth: ' .. text, level)
end

local function tell_error(error)
  if error.code == 'cancelled' then
    tell('cancelled', vim.log.levels.INFO)
  else
    tell(error.message .. (error.hint and '\n' .. error.hint or ''), vim.log.levels.ERROR)
  end
end

local function tell_warnings(result)
  for _, warning in ipairs(result.warnings or {}) do
    tell(warning.message, vim.log.levels.WARN)
  end
end

--- Ask for an answer, and have the writer write it as it comes.
--- @param failed function what to do with an error; nil: tell it
local function generate(fields, writer, failed)
  local id, guard
  local function over()
    running[id] = nil
    pcall(vim.api.nvim_del_autocmd, guard)
    writer:close()
  end
  local request = { op = 'generate', stream = true, model = settings.model }
  id = pipe:ask(vim.tbl_extend('force', request, fields), {
    chunk = function(chunk)
      if chunk.text and running[id] and not writer:write(chunk.text) then
        running[id] = nil
        pipe:cancel(id)
      end
    end,
    result = function(result)
      over()
      tell_warnings(result)
    end,
    error = function(error)
      over();
      (failed or tell_error)(error)
    end,
  })
  running[id] = writer.buffer
  -- Nobody reads on in a buffer that is closed: the model need not go on either.
  guard = vim.api.nvim_create_autocmd('BufUnload', {
    buffer = writer.buffer,
    callback = function()
      pipe:cancel(id)
    end,
  })
end

local scratch_number = 0

--- Open a split for an answer without going there; return its buffer.
local function open_scratch()
  local from = vim.api.nvim_get_current_win()
  vim.cmd('botright new')
  local buffer = vim.api.nvim_get_current_buf()
  scratch_number = scratch_number + 1
  vim.api.nvim_buf_set_name(buffer, 'devsynth://' .. scratch_number)
  vim.bo[buffer].buftype = 'nofile'
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].filetype = 'markdown'
  vim.api.nvim_set_current_win(from)
  return buffer
end

local function answer_in_split(prompt)
  generate({ prompt = prompt }, Writer.new(open_scratch(), 0, 0))
end

--- Ask a question, about *lines* of this buffer if they are given; the answer streams into a split.
--- Without a question one is asked for.
function M.ask(question, lines)
  local about = ''
  if lines then
    about = ('\n\n```%s\n%s\n```'):format(vim.bo.filetype, table.concat(lines, '\n'))
  end
  if vim.trim(question or '') ~= '' then
    return answer_in_split(question .. about)
  end
  vim.ui.input({ prompt = 'Ask: ' }, function(given)
    if vim.trim(given or '') ~= '' then
      answer_in_split(given .. about)
    end
  end)
end

--- Return the place that text typed now would go to, after the cursor's character in Normal mode.
local function insertion_place()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if not vim.api.nvim_get_mode().mode:find('^[iR]') then
    local rest = vim.api.nvim_get_current_line():sub(col + 1)
    col = col + #vim.fn.matchstr(rest, '^.')
  end
  return row - 1, col
end

--- Write what belongs between the text before and after the cursor, as it comes.
function M.complete()
  local buffer, given = vim.api.nvim_get_current_buf(), settings.complete
  if not vim.bo[buffer].modifiable then
    return tell('this buffer is not modifiable', vim.log.levels.ERROR)
  end
  local row, col = insertion_place()
  local after = surroundings.after(buffer, row, col, given.after)
  local fields = {
    raw = true,
    prompt = surroundings.before(buffer, row, col, given.before),
    max_tokens = given.max_tokens,
  }
  if given.suffix and not cannot_fill and after:find('%S') then -- else there is no gap
    fields.suffix = after
  end
  local tick = vim.api.nvim_buf_get_changedtick(buffer)
  generate(fields, Writer.new(buffer, row, col), function(error)
    if error.code ~= 'not_supported' or not fields.suffix then
      return tell_error(error)
    end
    cannot_fill = true
    local told = 'this server cannot fill a gap: it goes on from the text before the cursor'
    tell(told, vim.log.levels.WARN)
    if vim.api.nvim_buf_is_loaded(buffer) and vim.api.nvim_buf_get_changedtick(buffer) == tick then
      fields.suffix = nil
      generate(fields, Writer.new(buffer, row, col))
    end
  end)
end

--- Cancel the answers that are written to this buffer.
--- If there are none, or with *all*, those of every buffer.
function M.cancel(all)
  local here = vim.api.nvim_get_current_buf()
  local writes_here = vim.tbl_contains(vim.tbl_values(running), here)
  for id, buffer in pairs(running) do
    if all or not writes_here or buffer == here then
      pipe:cancel(id)
    end
  end
end

--- Have the daemon take *model* from now on; without one, list the models and ask.
function M.select(model)
  if model and model ~= '' then
    pipe:ask({ op = 'select', model = model }, {
      result = function(result)
        cannot_fill = false -- perhaps it is another server by now
        tell(('%s answers (%s)'):format(result.selection.model or 'no model', result.selection.how))
        tell_warnings(result)
      end,
      error = tell_error,
    })
    return
  end
  pipe:ask({ op = 'list', kind = 'llm' }, {
    result = function(result)
      tell_warnings(result)
      vim.ui.select(result.models, {
        prompt = 'Which model answers?',
        format_item = function(each)
          return each.id .. (each.selected and ' *' or '') .. (each.loaded and ' (loaded)' or '')
        end,
      }, function(chosen)
        if chosen then
          M.select(chosen.id)
        end
      end)
    end,
    error = tell_error,
  })
end

--- Return how many answers are on their way, for a statusline: '' if none.
function M.statusline()
  local count = vim.tbl_count(running)
  return count > 0 and ('devsynth: %d'):format(count) or ''
end

return M
