-- ARGV: limits, ids of expired leads that were reported.
for i = 2, #ARGV do
  local lead = load(ARGV[i])
  if lead and lead.state == 'expired' then finish(lead, 'expired') end
end
return 0
