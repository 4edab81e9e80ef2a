-- Keeps the create of a meeting: tenant, id, internalMeetingID, the sealed create, from which size on creates are large, and
-- how large those may be together.
return keep_create(find_ref(ARGV[3], ARGV[4]), ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]))
