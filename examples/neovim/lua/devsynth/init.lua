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
local fills_no_gap -- the job behind the pipe while it was said that the server cannot

--- Change settings; those that are left out keep their values.
function M.setup(given)
  settings = vim.tbl_deep_extend('force', settings, given or {})
  pipe.command = settings.command
  fills_no_gap = nil -- another model, perhaps
end

local function tell(text, level)
  vim.notify('devsynth: ' .. text, level)
end

local function tell_error(error)
  if error.code == 'cancelled' then
    tell('cancelled', vim.log.levels.INFO)
  else
    -- In one line: of more of them Neovim may show the last one alone.
    tell(error.message .. (error.hint and ' - ' .. error.hint or ''), vim.log.levels.ERROR)
  end
end

local function tell_warnings(result)
  for _, warning in ipairs(result.warnings or {}) do
    tell(warning.message, vim.log.levels.WARN)
  end
end

local function is_written(buffer)
  return vim.tbl_contains(vim.tbl_values(running), buffer)
end

--- Stop an answer, which ends with the error `cancelled` then.
local function stop(id)
  running[id] = nil
  pipe:cancel(id)
end

--- Ask for an answer, and have the writer write it as it comes.
--- @param failed function|nil called with an error before it is told, unless it returns true: then
---   it goes on with the writer
local function generate(fields, writer, failed)
  local id, guard
  local function over()
    running[id] = nil
    pcall(vim.api.nvim_del_autocmd, guard)
  end
  local request = { op = 'generate', stream = true, model = settings.model }
  id = pipe:ask(vim.tbl_extend('force', request, fields), {
    chunk = function(chunk)
      if chunk.text and running[id] and not writer:write(chunk.text) then
        stop(id)
      end
    end,
    result = function(result)
      over()
      writer:close()
      tell_warnings(result)
    end,
    error = function(error)
      local wanted = running[id] ~= nil
      over()
      if not (failed and failed(error, wanted)) then
        writer:close()
        tell_error(error)
      end
    end,
  })
  running[id] = writer.buffer
  -- Nobody reads on in a buffer that is closed: the model need not go on either.
  guard = vim.api.nvim_create_autocmd('BufUnload', {
    buffer = writer.buffer,
    callback = function()
      stop(id)
    end,
  })
end

local answers = 0 -- buffers for answers that there have been

--- Open a split for an answer without going there; return its buffer.
local function open_split()
  local from = vim.api.nvim_get_current_win()
  vim.cmd('botright new')
  local buffer = vim.api.nvim_get_current_buf()
  answers = answers + 1
  vim.api.nvim_buf_set_name(buffer, 'devsynth://' .. answers)
  vim.bo[buffer].buftype = 'nofile'
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].filetype = 'markdown'
  vim.api.nvim_set_current_win(from)
  return buffer
end

--- Return a buffer for an answer that is shown on this page and not being written; nil if none is.
local function idle_split()
  for _, window in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    local buffer = vim.api.nvim_win_get_buf(window)
    local is_ours = vim.api.nvim_buf_get_name(buffer):find('^devsynth://')
    if is_ours and vim.bo[buffer].modifiable and not is_written(buffer) then
      return buffer
    end
  end
end

local function answer_in_split(prompt)
  local before -- the lines of the answer before
  local buffer = idle_split()
  if buffer then
    before = vim.api.nvim_buf_get_lines(buffer, 0, -1, true)
    vim.api.nvim_buf_set_lines(buffer, 0, -1, true, {})
  else
    buffer = open_split()
  end
  local writer = Writer.new(buffer, 0, 0)
  generate({ prompt = prompt }, writer, function()
    if writer.tick or is_written(buffer) or not vim.api.nvim_buf_is_loaded(buffer) then
      return -- something has come, the next answer is coming, or nobody looks
    elseif before then -- nothing has come: as if it had not been asked
      vim.api.nvim_buf_set_lines(buffer, 0, -1, true, before)
    else
      pcall(vim.api.nvim_buf_delete, buffer, { force = true }) -- not where that is locked
    end
  end)
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
  local known = fills_no_gap and fills_no_gap == pipe.job
  if given.suffix and not known and after:find('%S') then -- else there is no gap to be filled
    fields.suffix = after
  end
  local writer = Writer.new(buffer, row, col)
  generate(fields, writer, function(error, wanted)
    if error.code ~= 'not_supported' or not fields.suffix or not wanted then
      return false
    end
    fills_no_gap = pipe.job
    tell('server fills no gaps: only text before the cursor is used', vim.log.levels.WARN)
    fields.suffix = nil
    generate(fields, writer)
    return true
  end)
end

--- Cancel the answers that are written to this buffer.
--- If there are none, or with *all*, those of every buffer.
function M.cancel(all)
  if vim.tbl_isempty(running) then
    return tell('nothing is coming')
  end
  local here = vim.api.nvim_get_current_buf()
  local writes_here = is_written(here)
  for id, buffer in pairs(vim.deepcopy(running)) do
    if all or not writes_here or buffer == here then
      stop(id)
    end
  end
end

--- Have the daemon take *model* from now on; without one, list the models and ask.
function M.select(model)
  if model and model ~= '' then
    pipe:ask({ op = 'select', model = model }, {
      result = function(result)
        fills_no_gap = nil -- another model may
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

--- Return the ids of models that begin with *lead*; none if the daemon does not answer in a moment.
function M.complete_model(lead)
  local models
  pipe:ask({ op = 'list', kind = 'llm' }, {
    result = function(result)
      models = result.models
    end,
    error = function()
      models = {}
    end,
  })
  vim.wait(2000, function()
    return models ~= nil
  end, 10)
  local ids = vim.tbl_map(function(model)
    return model.id
  end, models or {})
  return vim.tbl_filter(function(id)
    return vim.startswith(id, lead)
  end, ids)
end

--- Return how many answers are on their way, for a statusline: '' if none.
function M.statusline()
  local count = vim.tbl_count(running)
  return count > 0 and ('devsynth: %d'):format(count) or ''
end

return M
