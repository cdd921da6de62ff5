-- Sends the requests in a file in turn; at the end prints what came of it as a line of JSON, times in microseconds.

local requests, sent = {}, 0

function init(arguments)
  for head in io.open(arguments[1], "rb"):read("*a"):gmatch("(.-\r\n\r\n)") do
    requests[#requests + 1] = head
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
