-- Adds a planned drain: its id, its server, its revision, when it ended ('' if it has not), the drain as JSON, how many may not be over.
-- Returns {'added'}, {'server', id of the server's other drain} or {'too many'}.
local key = prefix .. 'own:planned_drains'
local open = 0
for _, stored in ipairs(call('HVALS', key)) do
  local other = cjson.decode(stored)
  if other.ended_at == '' then
    open = open + 1
    if other.server == ARGV[4] then return { 'server', other.id } end
  end
end
if open >= tonumber(ARGV[8]) then return { 'too many' } end
record_schema_version()
local entry = { id = ARGV[3], server = ARGV[4], revision = ARGV[5], ended_at = ARGV[6], drain = ARGV[7] }
call('HSET', key, ARGV[3], cjson.encode(entry))
return { 'added' }
