-- Replaces what replicas share of their certificate: the expected text ('' for none), the new text.
-- Returns 0 if it is another one by now.
local key = prefix .. 'own:certificate'
if (call('GET', key) or '') ~= ARGV[3] then return 0 end
call('SET', key, ARGV[4])
return 1
