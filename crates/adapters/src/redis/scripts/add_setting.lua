-- Adds a setting: id, tenant, param, value, override. Returns 0 if its tenant is unknown or its id
-- exists.
local id, tenant = ARGV[3], ARGV[4]
local key = prefix .. 'tenant_setting:' .. id
if call('EXISTS', prefix .. 'tenant:' .. tenant) == 0 or call('EXISTS', key) == 1 then return 0 end
call('HSET', key, 'param', ARGV[5], 'value', ARGV[6], 'override', ARGV[7], 'tenant_id', tenant)
call('SADD', prefix .. 'tenant_settings:' .. tenant, id)
add_to_order('settings', id)
return 1
