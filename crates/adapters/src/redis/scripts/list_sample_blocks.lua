-- Returns the blocks of a subject by time: the span, the subject, the first start.
local rows = {}
local starts = prefix .. 'own:samples:' .. ARGV[3]
for _, start in ipairs(call('ZRANGEBYSCORE', starts, ARGV[5], '+inf')) do
  local entries = call('HGET', starts .. ':' .. start, ARGV[4])
  if entries then
    rows[#rows + 1] = start
    rows[#rows + 1] = entries
  end
end
return rows
