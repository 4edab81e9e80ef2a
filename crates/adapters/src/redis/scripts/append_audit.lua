-- Appends records of the audit: time, id and JSON of each. A record that is there (by time and id) stays as it is.
local key = prefix .. 'own:audit'
record_schema_version()
for at = 3, #ARGV, 3 do
  local is_known = false
  for _, member in ipairs(call('ZRANGEBYSCORE', key, ARGV[at], ARGV[at])) do
    is_known = is_known or cjson.decode(member).id == ARGV[at + 1]
  end
  if not is_known then call('ZADD', key, ARGV[at], ARGV[at + 2]) end
end
return 1
