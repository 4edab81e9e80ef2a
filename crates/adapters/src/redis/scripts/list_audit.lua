-- Returns records of the audit as JSON, the newest first: where the list begins, where it ends (ranges of ZREVRANGEBYLEX), how many.
local found = {}
local members =
  call('ZREVRANGEBYLEX', prefix .. 'own:audit', ARGV[3], ARGV[4], 'LIMIT', 0, ARGV[5])
for at, member in ipairs(members) do
  found[at] = string.sub(member, string.find(member, '\0', 1, true) + 1)
end
return found
