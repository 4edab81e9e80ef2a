-- Claims a request: its key, its fingerprint, the time, until when, how many may be remembered.
-- Returns {'claimed'}, {'under way'}, {'answered', answer} or {'other'}.
local ends, requests = prefix .. 'own:request_ends', prefix .. 'own:requests'
local function forget(keys)
  for _, key in ipairs(keys) do
    call('ZREM', ends, key)
    call('HDEL', requests, key)
  end
end
forget(call('ZRANGEBYSCORE', ends, '-inf', ARGV[5]))
local found = call('HGET', requests, ARGV[3])
if found then
  local request = cjson.decode(found)
  if request.fingerprint ~= ARGV[4] then return { 'other' } end
  if request.answer then return { 'answered', request.answer } end
  return { 'under way' }
end
record_schema_version()
call('HSET', requests, ARGV[3], cjson.encode({ fingerprint = ARGV[4] }))
call('ZADD', ends, ARGV[6], ARGV[3])
local excess = call('ZCARD', ends) - tonumber(ARGV[7])
if excess > 0 then forget(call('ZRANGE', ends, 0, excess - 1)) end
return { 'claimed' }
