-- Forgets the blocks that begin before a time: the span, the time.
local starts = prefix .. 'own:samples:' .. ARGV[3]
for _, start in ipairs(call('ZRANGEBYSCORE', starts, '-inf', '(' .. ARGV[4])) do
  call('DEL', starts .. ':' .. start)
end
call('ZREMRANGEBYSCORE', starts, '-inf', '(' .. ARGV[4])
return 1
