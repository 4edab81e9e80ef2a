-- Adds a tenant: JSON with its id and fields. Returns 0 if its id or its name exists; case does not
-- matter in names.
local new = cjson.decode(ARGV[3])
local key = prefix .. 'tenant:' .. new.id
if call('EXISTS', key) == 1 then return 0 end
for _, id in ipairs(call('SMEMBERS', prefix .. 'tenants')) do
  local name = call('HGET', prefix .. 'tenant:' .. id, 'name')
  if name and string.lower(name) == string.lower(new.fields.name) then return 0 end
end
for name, value in pairs(new.fields) do call('HSET', key, name, value) end
call('HSET', prefix .. 'tenant_name:' .. new.fields.name, 'id', new.id)
call('SADD', prefix .. 'tenants', new.id)
add_to_order('tenants', new.id)
return 1
