-- Forgets pending ends that began before a time.
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local key = own_key('pending_ends', id)
  local fields = to_table(call('HGETALL', key))
  for field, value in pairs(fields) do
    if cjson.decode(value).since < tonumber(ARGV[3]) then
      call('HDEL', key, field)
      increment_version(id)
    end
  end
end
return 1
