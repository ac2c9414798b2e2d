-- The commands of devsynth. The plug-in itself is loaded by the first one that is used.

if vim.g.loaded_devsynth then
  return
end
vim.g.loaded_devsynth = true

local command = vim.api.nvim_create_user_command

command('DevsynthAsk', function(given)
  local lines
  if given.range > 0 then
    lines = vim.api.nvim_buf_get_lines(0, given.line1 - 1, given.line2, true)
  end
  require('devsynth').ask(given.args, lines)
end, { nargs = '*', range = true, desc = 'Ask a question, about the lines of the range' })

command('DevsynthComplete', function()
  require('devsynth').complete()
end, { desc = 'Write what belongs at the cursor' })

command('DevsynthCancel', function(given)
  require('devsynth').cancel(given.bang)
end, { bang = true, desc = 'Cancel the answers of this buffer, with ! all' })

command('DevsynthModel', function(given)
  require('devsynth').select(given.args)
end, {
  nargs = '?',
  complete = function(lead)
    return require('devsynth').complete_model(lead)
  end,
  desc = 'Choose the model that answers',
})
