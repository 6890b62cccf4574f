// The inside of the fleet for Node: what benchmarks/container.py is for Python.
//
//     node benchmarks/container.js [MODULE ...]   with the platform's socket as file descriptor 3
//
// The modules are loaded before it says that it has started, as after the restore of a snapshot.
// One line of JSON each way. First word: the process id, when the runtime has started. Then a line
// that says which handler to load, then a line for each invocation.

'use strict'

const net = require('node:net')
const readline = require('node:readline')

const channel = new net.Socket({ fd: 3 })
const tell = (reply) => channel.write(JSON.stringify(reply) + '\n')
const seconds = (begin) => Number(process.hrtime.bigint() - begin) / 1e9

// Class and number of an error; mysql2 has both, a wrapped error has only its text.
const describe = (error) => ({
  kind: error.code || `${error.name}: ${error.message}`.slice(0, 60),
  errno: Number.isInteger(error.errno) ? error.errno : null,
  message: String(error.message),
})

process.argv.slice(2).forEach((name) => require(name))

let handler

const load = (orders) => {
  Object.assign(process.env, orders.environment)
  const begin = process.hrtime.bigint()
  try {
    handler = require(orders.handler).handler
  } catch (error) {
    tell({ seconds: seconds(begin), error: describe(error) })
    return
  }
  tell({ seconds: seconds(begin) })
}

const invoke = async (order) => {
  const begin = process.hrtime.bigint()
  let reply
  try {
    reply = { result: await handler(order.event) }
  } catch (error) {
    reply = { error: describe(error) }
  }
  tell({ ...reply, seconds: seconds(begin) })
}

readline.createInterface({ input: channel }).on('line', (line) => {
  const order = JSON.parse(line)
  if (handler) invoke(order)
  else load(order)
})
channel.on('end', () => process.exit(0))
channel.on('error', () => process.exit(1))
tell({ pid: process.pid })
