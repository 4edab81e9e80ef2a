-- Removes a tenant and its settings: id. Returns 0 if there is none.
local id = ARGV[3]
local key = prefix .. 'tenant:' .. id
if call('EXISTS', key) == 0 then return 0 end
local name = call('HGET', key, 'name')
if name and call('HGET', prefix .. 'tenant_name:' .. name, 'id') == id then
  call('DEL', prefix .. 'tenant_name:' .. name)
end
local settings = prefix .. 'tenant_settings:' .. id
for _, setting in ipairs(call('SMEMBERS', settings)) do
  call('DEL', prefix .. 'tenant_setting:' .. setting)
  call('ZREM', own_key('order', 'settings'), setting)
end
call('DEL', key, settings)
call('SREM', prefix .. 'tenants', id)
call('ZREM', own_key('order', 'tenants'), id)
return 1
