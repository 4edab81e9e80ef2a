-- Removes a setting: id. Returns 0 if there is none.
local key = prefix .. 'tenant_setting:' .. ARGV[3]
local tenant = call('HGET', key, 'tenant_id')
if call('DEL', key) == 0 then return 0 end
if tenant then call('SREM', prefix .. 'tenant_settings:' .. tenant, ARGV[3]) end
call('ZREM', own_key('order', 'settings'), ARGV[3])
return 1
