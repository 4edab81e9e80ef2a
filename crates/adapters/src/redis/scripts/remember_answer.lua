-- Remembers the answer of a request: its key, its fingerprint, the answer, until when.
local requests = prefix .. 'own:requests'
local found = call('HGET', requests, ARGV[3])
if not found or cjson.decode(found).fingerprint ~= ARGV[4] then return 0 end
call('HSET', requests, ARGV[3], cjson.encode({ fingerprint = ARGV[4], answer = ARGV[5] }))
call('ZADD', prefix .. 'own:request_ends', ARGV[6], ARGV[3])
return 1
