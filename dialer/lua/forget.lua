-- ARGV: ids of expired leads that were reported.
for _, id in ipairs(ARGV) do
  local lead = load(id)
  if lead and lead.state == 'expired' then finish(lead, 'expired') end
end
return 0
