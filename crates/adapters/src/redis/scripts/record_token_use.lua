-- Records that a management token was used: its id, the time.
if call('HEXISTS', prefix .. 'own:management_tokens', ARGV[3]) == 0 then return 0 end
local key = prefix .. 'own:management_token_uses'
local known = call('HGET', key, ARGV[3])
if not known or tonumber(known) < tonumber(ARGV[4]) then call('HSET', key, ARGV[3], ARGV[4]) end
return 1
