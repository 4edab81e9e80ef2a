-- Lists planned drains as JSON: 'all', or those that are not over.
local drains = {}
for _, stored in ipairs(call('HVALS', prefix .. 'own:planned_drains')) do
  local entry = cjson.decode(stored)
  if ARGV[3] == 'all' or entry.ended_at == '' then drains[#drains + 1] = entry.drain end
end
return drains
