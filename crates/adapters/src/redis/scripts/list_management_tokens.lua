-- Returns all management tokens as JSON, each followed by when it was used last ('' for never).
local uses = to_table(call('HGETALL', prefix .. 'own:management_token_uses'))
local found = {}
local flat = call('HGETALL', prefix .. 'own:management_tokens')
for at = 1, #flat, 2 do
  found[#found + 1] = flat[at + 1]
  found[#found + 1] = uses[flat[at]] or ''
end
return found
