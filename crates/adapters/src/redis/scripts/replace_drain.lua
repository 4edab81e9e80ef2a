-- Replaces a planned drain: its id, its revision before, its revision, when it ended ('' if it has not), the drain as JSON.
-- Returns 1; 0 if there is none, if it has another revision, or if it is over.
local key = prefix .. 'own:planned_drains'
local stored = call('HGET', key, ARGV[3])
if not stored then return 0 end
local entry = cjson.decode(stored)
if entry.revision ~= ARGV[4] or entry.ended_at ~= '' then return 0 end
entry.revision, entry.ended_at, entry.drain = ARGV[5], ARGV[6], ARGV[7]
call('HSET', key, ARGV[3], cjson.encode(entry))
return 1
