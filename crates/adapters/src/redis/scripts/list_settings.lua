-- Returns the settings of a tenant, or of all tenants.
local tenants = ARGV[3] and { ARGV[3] } or call('SMEMBERS', prefix .. 'tenants')
local rows = {}
for _, tenant in ipairs(tenants) do
  for _, id in ipairs(call('SMEMBERS', prefix .. 'tenant_settings:' .. tenant)) do
    local fields = call('HGETALL', prefix .. 'tenant_setting:' .. id)
    if #fields > 0 then
      rows[#rows + 1] = { id, fields, call('ZSCORE', own_key('order', 'settings'), id) }
    end
  end
end
return rows
