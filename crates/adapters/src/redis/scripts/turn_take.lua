-- Begins a cycle if the last one is still the one expected: work, its number, the new one, when.
local key = own('turn', ARGV[3])
if (call('HGET', key, 'number') or '') ~= ARGV[4] then return 0 end
call('HSET', key, 'number', ARGV[5], 'begun_at', ARGV[6])
return 1
