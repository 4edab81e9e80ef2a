-- Appends to the samples of subjects: the span, the start of the block, then subject and entry in turn.
-- The starts of all blocks of a span are in a sorted set, so that they can be listed and forgotten.
local key = prefix .. 'own:samples:' .. ARGV[3] .. ':' .. ARGV[4]
for i = 5, #ARGV, 2 do
  call('HSET', key, ARGV[i], (call('HGET', key, ARGV[i]) or '') .. ARGV[i + 1])
end
call('ZADD', prefix .. 'own:samples:' .. ARGV[3], ARGV[4], ARGV[4])
return 1
