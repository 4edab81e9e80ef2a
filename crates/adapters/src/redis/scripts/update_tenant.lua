-- Changes a tenant and returns it, or false: id, JSON with fields. Returns 0 if another tenant has
-- the name.
local id, fields = ARGV[3], cjson.decode(ARGV[4]).fields
local key = prefix .. 'tenant:' .. id
if call('EXISTS', key) == 0 then return false end
local old = call('HGET', key, 'name')
if fields.name then
  for _, other_id in ipairs(call('SMEMBERS', prefix .. 'tenants')) do
    local name = call('HGET', prefix .. 'tenant:' .. other_id, 'name')
    if other_id ~= id and name and string.lower(name) == string.lower(fields.name) then return 0 end
  end
end
for name, value in pairs(fields) do call('HSET', key, name, value) end
if fields.name and fields.name ~= old then
  if old then call('DEL', prefix .. 'tenant_name:' .. old) end
  call('HSET', prefix .. 'tenant_name:' .. fields.name, 'id', id)
end
return { id, call('HGETALL', key), false }
