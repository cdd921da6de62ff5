-- Sends the requests of a file in turn, each of which stands there behind a line with its length; at the end prints what
-- came of it as a line of JSON, times in microseconds.

local requests, sent = {}, 0

function init(arguments)
  local file = io.open(arguments[1], "rb")
  for length in file:lines() do
    requests[#requests + 1] = file:read(tonumber(length))
  end
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "duration": %d, "p50": %d, "p99": %d, "status": %d, "socket": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
