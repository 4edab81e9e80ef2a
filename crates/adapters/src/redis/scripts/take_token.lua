-- Takes a one-time token: token, now.
local key = prefix .. 'protector_token_' .. ARGV[3]
local found, ends = call('GET', key), call('GET', own('token', ARGV[3]))
call('DEL', key, own('token', ARGV[3]))
if ends and tonumber(ends) <= tonumber(ARGV[4]) then return false end
return found
