-- Adds a management token: its id, its name, the token as JSON, the largest number of tokens, when it was used last ('' for never).
-- Returns 1; 0 if its id or name exists; 2 if there are too many.
local key = prefix .. 'own:management_tokens'
if call('HEXISTS', key, ARGV[3]) == 1 then return 0 end
for _, stored in ipairs(call('HVALS', key)) do
  if cjson.decode(stored).name == ARGV[4] then return 0 end
end
if call('HLEN', key) >= tonumber(ARGV[6]) then return 2 end
record_schema_version()
call('HSET', key, ARGV[3], ARGV[5])
if ARGV[7] ~= '' then call('HSET', prefix .. 'own:management_token_uses', ARGV[3], ARGV[7]) end
return 1
