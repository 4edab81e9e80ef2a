-- Forgets a request without an answer: its key, its fingerprint.
local requests = prefix .. 'own:requests'
local found = call('HGET', requests, ARGV[3])
local request = found and cjson.decode(found)
if not request or request.fingerprint ~= ARGV[4] or request.answer then return 0 end
call('ZREM', prefix .. 'own:request_ends', ARGV[3])
return call('HDEL', requests, ARGV[3])
