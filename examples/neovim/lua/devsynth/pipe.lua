-- One job `devsynthctl pipe`: a line out is a request, a line in is a reply, a JSON object each.
-- Started by the first request, and again by the next one if it has ended.

local MAX_BYTES = 32 * 1024 * 1024 -- of one request: the daemon's own limit

local Pipe = {}
Pipe.__index = Pipe

--- @param command string[] the job's command line
function Pipe.new(command)
  return setmetatable({ command = command, asked = {}, last_id = 0, rest = '', said = '' }, Pipe)
end

--- Send a request and return its id.
--- @param fields table as the protocol has them, without `id`
--- @param on table what to do with its replies: `chunk(reply)`, `progress(reply)`, and at last
---   `result(result)` or `error(error)`, where error has `code`, `message` and perhaps `hint`
function Pipe:ask(fields, on)
  self.last_id = self.last_id + 1
  local id = self.last_id
  self.asked[id] = on
  local request = vim.tbl_extend('force', fields, { id = id, client = 'devsynth.nvim' })
  local sent, problem = pcall(function()
    local line = vim.json.encode(request)
    if #line > MAX_BYTES then
      error('the text is too long', 0)
    end
    self:start()
    if vim.fn.chansend(self.job, line .. '\n') == 0 then
      error('it reads no more', 0)
    end
  end)
  if not sent then
    -- Not at once: the caller does not have the id yet.
    vim.schedule(function()
      self:over(id, 'error', {
        code = 'daemon_unreachable',
        message = ('%s could not be asked: %s'):format(self.command[1], problem),
        hint = 'see :help devsynth-setup',
      })
    end)
  end
  return id
end

--- Have the daemon cancel a request, which ends with the error `cancelled` then.
function Pipe:cancel(id)
  if self.asked[id] then
    self:ask({ op = 'cancel', target = id }, {})
  end
end

function Pipe:start()
  if self.job then
    return
  end
  if vim.fn.executable(self.command[1]) == 0 then
    error('it is not on the PATH of Neovim; install devsynthd, or set `command`', 0)
  end
  self.rest, self.said = '', ''
  self.job = vim.fn.jobstart(self.command, {
    on_stdout = function(_, data)
      self:read(data)
    end,
    on_stderr = function(_, data)
      self.said = self.said .. table.concat(data, '\n')
    end,
    on_exit = function(_, status)
      self:ended(status)
    end,
  })
  if self.job <= 0 then
    self.job = nil
    error('it cannot be started', 0)
  end
end

--- Take what the job has written: the first piece continues the line before, the last one is open.
function Pipe:read(pieces)
  self.rest = self.rest .. pieces[1]
  for index = 2, #pieces do
    local line = self.rest
    self.rest = pieces[index]
    local fine, problem = pcall(self.hand_on, self, line)
    if not fine then -- whatever it is, the next line has its turn
      vim.notify('devsynth: ' .. problem, vim.log.levels.ERROR)
    end
  end
end

function Pipe:hand_on(line)
  local reply = vim.json.decode(line, { luanil = { object = true } })
  if reply.type == 'result' then
    self:over(reply.id, 'result', reply.result)
  elseif reply.type == 'error' then
    self:over(reply.id, 'error', reply.error)
  else
    local on = self.asked[reply.id] or {}
    if on[reply.type] then
      on[reply.type](reply)
    end
  end
end

function Pipe:over(id, kind, value)
  local on = id and self.asked[id] or {}
  if id then
    self.asked[id] = nil
  end
  if on[kind] then
    on[kind](value)
  end
end

function Pipe:ended(status)
  self.job = nil
  local said = vim.trim(self.said)
  for _, id in ipairs(vim.tbl_keys(self.asked)) do
    self:over(id, 'error', {
      code = 'connection_lost',
      message = ('%s ended with status %d'):format(table.concat(self.command, ' '), status),
      hint = said ~= '' and said or nil,
    })
  end
end

return Pipe
