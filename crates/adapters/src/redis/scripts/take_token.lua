-- Removes a one-time token and returns what it grants, or false if it has expired: token, time.
local key = prefix .. 'protector_token_' .. ARGV[3]
local found, expires_at = call('GET', key), call('GET', own_key('token', ARGV[3]))
call('DEL', key, own_key('token', ARGV[3]))
if expires_at and tonumber(expires_at) <= tonumber(ARGV[4]) then return false end
return found
