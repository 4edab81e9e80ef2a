-- Appends records of the audit: time and id, and JSON, of each. A record that is there (by time and id) stays as it is. Members have the
-- same score, and are ordered by their bytes: time, id, a NUL, JSON.
local key = prefix .. 'own:audit'
record_schema_version()
for at = 3, #ARGV, 2 do
  local first, last = '[' .. ARGV[at] .. '\0', '(' .. ARGV[at] .. '\1'
  if #call('ZRANGEBYLEX', key, first, last, 'LIMIT', 0, 1) == 0 then
    call('ZADD', key, 0, ARGV[at] .. '\0' .. ARGV[at + 1])
  end
end
return 1
