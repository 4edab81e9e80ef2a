-- Returns where meetings are, and what is needed to place those that are nowhere. JSON with a list of tenants, ids, times, tokens,
-- and the internalMeetingID of the meeting that is replaced ('' for any; the reply is { 'nothing' } if no meeting is there).
-- Undoes the record of a meeting if its claim has expired or its server was removed; a replaceable record stays until the
-- meeting is placed. The reply for each is { 'known', meeting, server } or { 'placeable', servers of other tenants' meetings of
-- this id }; all of them are followed by the loads, the counts of placed meetings in the order of the loads, and the revision of
-- the servers.
local function inspect(request)
  local ref = find_ref(request.tenant, request.id)
  if ref then
    local row = read_meeting(ref)
    local server_row = row and read_server(to_table(row[2]).server_id)
    if not server_row then
      forget_meeting(ref)
      if request.replaces ~= '' then return { 'nothing' } end
    elseif not finds_replaced(row, request.replaces, request.token) then
      return { 'known', row, server_row }
    else
      local conflict = record_conflict(row, request.token, request.now)
      if conflict == 'blocking' then return { 'known', row, server_row } end
      if conflict == 'expired' then
        undo_placement(row)
        put_end_of_replaced(request.tenant, request.id, row, request.token, request.now)
      end
    end
  elseif request.replaces ~= '' then
    return { 'nothing' }
  end
  local others = servers_of_other_tenants(request.tenant, request.id)
  return { 'placeable', others }
end

local found = {}
for at, request in ipairs(cjson.decode(ARGV[3])) do found[at] = inspect(request) end
local loads = call('ZRANGE', LOAD, 0, -1, 'WITHSCORES')
local placed = {}
for at = 1, #loads, 2 do placed[#placed + 1] = placed_since_poll(loads[at]) end
return { found, loads, placed, call('GET', own_key('counter', 'revision')) }
