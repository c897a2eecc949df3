// node-postgres tells the scenario, then pushes two commits, and prints what it was answered.
import { readFileSync } from "node:fs";
import pg from "pg";

pg.types.setTypeParser(pg.types.builtins.INT8, BigInt); // else a bigint is a string

async function call(client, name, args) {
  const list = Object.keys(args).map((arg, at) => `${arg} => $${at + 1}`);
  const text = `select * from pgjobs.${name}(${list.join(", ")})`;
  return (await client.query(text, Object.values(args))).rows;
}

async function view(client, name, { commit_sha }) {
  const text = `select * from pgjobs.${name} where commit_sha = $1`;
  return (await client.query(text, [commit_sha])).rows;
}

async function push(client, job, check = () => {}) {
  await client.query("begin");
  try {
    await client.query("insert into push values ($1)", [job.commit_sha]);
    await call(client, "enqueue", job);
    check();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const answers = [];
let token;
for (const step of JSON.parse(readFileSync("scenario.json", "utf8"))) {
  const args = { ...step.with };
  if (args.lease_token) args.lease_token = token;
  try {
    const ask = step.view ? view : call;
    const [row] = await ask(client, step.view ?? step.call, args);
    if (step.call === "claim") token = row.lease_token;
    answers.push(row);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    answers.push(error.code); // the SQLSTATE: decide by it, never by the message
  }
}

const job = { session_id: "5e55a0e1-0000-4000-8000-000000000003", lab_version: "1.4" };
await push(client, { ...job, commit_sha: "c".repeat(40) });
await push(client, { ...job, commit_sha: "d".repeat(40) }, () => {
  throw new Error("the host changed its mind");
}).catch(() => {});
await client.end();
console.log(JSON.stringify(answers, (_, value) => (typeof value === "bigint" ? Number(value) : value)));
