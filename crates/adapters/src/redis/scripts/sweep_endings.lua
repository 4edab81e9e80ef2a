-- Forgets endings that are older than that.
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local key = own('endings', id)
  local fields = table_of(call('HGETALL', key))
  for field, value in pairs(fields) do
    if cjson.decode(value).since < tonumber(ARGV[3]) then
      call('HDEL', key, field)
      bump(id)
    end
  end
end
return 1
