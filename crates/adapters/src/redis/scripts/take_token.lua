-- Removes a one-time token of this format and returns 1, or 0 if it has expired, is another format's or cannot be read: token, time, record id, format.
local key = prefix .. 'protector_token_' .. ARGV[3]
local found, expires_at = call('GET', key), call('GET', own_key('token', ARGV[3]))
if not found then return 0 end
local is_read, granted = pcall(cjson.decode, found)
if not is_read or type(granted) ~= 'table' then return 0 end
if granted.record_id ~= ARGV[5] or granted.format ~= ARGV[6] then return 0 end
call('DEL', key, own_key('token', ARGV[3]))
if expires_at and tonumber(expires_at) <= tonumber(ARGV[4]) then return 0 end
return 1
