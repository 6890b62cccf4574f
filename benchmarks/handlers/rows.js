// The contest's function with serverless-mysql and its own defaults, as its README has it: an
// instance of the module, `query()`, and `end()` when the invocation is over.

'use strict'

const env = process.env

const mysql = require(`${env.NODE_MODULES}/serverless-mysql`)({
  config: {
    host: env.DB_HOST,
    port: Number(env.DB_PORT),
    user: env.DB_USER,
    password: env.DB_PASSWORD,
    database: env.DB_NAME,
    ...(env.DB_TLS && { ssl: { rejectUnauthorized: false } }),
  },
  manageConns: env.MANAGE_CONNS !== '0',
})

// The same query as in rows.py.
const QUERY =
  'SELECT id, name, price FROM products, (SELECT SLEEP(?) AS slept) AS pause' +
  ' WHERE shelf = ? ORDER BY price'

exports.handler = async (event) => {
  const rows = await mysql.query(QUERY, [Number(env.WORK_SECONDS), event.number % 10])
  await mysql.end()
  return rows.length
}
