// The host's own client writes and calls; the ledger's client reads. Both share one pool.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { PrismaClient as Host } from "./generated/host/client.ts";
import { Prisma, PrismaClient as Ledger } from "./generated/pgjobs/client.ts";
import { claim, complete, enqueue, heartbeat, sqlstate } from "./pgjobs.ts";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const host = new Host({ adapter: new PrismaPg(pool) });
const ledger = new Ledger({ adapter: new PrismaPg(pool) });

const session = "5e55a0e1-0000-4000-8000-000000000001";
const classmate = "5e55a0e1-0000-4000-8000-000000000002";
const sha = (digit: string) => digit.repeat(40);

const refusedWith = (code: string) => (error: unknown) => sqlstate(error) === code;

after(async () => {
  await host.$disconnect();
  await ledger.$disconnect();
  await pool.end();
});

test("a job commits with the row of the host, and is made once", async () => {
  const push = (commitSha: string) =>
    host.$transaction(async (tx) => {
      await tx.push.create({ data: { commitSha } });
      return enqueue(tx, session, commitSha, "1.4");
    });
  const job = await push(sha("a"));
  assert.deepEqual(job, { job_id: 1n, attempt_id: 1n, status: "QUEUED", created: true });
  assert.equal((await enqueue(host, session, sha("a"), "1.4")).created, false);
  assert.equal(await host.push.count(), 1);
});

test("a job rolls back with the row of the host", async () => {
  await assert.rejects(
    host.$transaction(async (tx) => {
      await tx.push.create({ data: { commitSha: sha("b") } });
      assert.equal((await enqueue(tx, session, sha("b"), "1.4")).created, true);
      throw new Error("the host changed its mind");
    }),
    /changed its mind/,
  );
  assert.equal(await host.push.count(), 1);
  assert.equal(await ledger.verificationJob.findUnique({ where: { commitSha: sha("b") } }), null);
});

test("a refusal undoes the transaction, and comes as its SQLSTATE", async () => {
  await assert.rejects(
    host.$transaction(async (tx) => {
      await tx.push.create({ data: { commitSha: sha("c") } });
      await enqueue(tx, classmate, sha("a"), "1.4");
    }),
    refusedWith("23V03"),
  );
  assert.equal(await host.push.count(), 1);
  await assert.rejects(enqueue(host, session, "C0FFEE", "1.4"), refusedWith("22023"));
});

test("a run is claimed, renewed and completed, and its verdict stands", async () => {
  const [run] = await claim(host, "w1");
  assert.deepEqual([run.job_id, run.commit_sha, run.run_no], [1n, sha("a"), 1]);
  const running = await ledger.verificationJob.findFirst({ where: { status: "RUNNING" } });
  assert.deepEqual([running?.jobId, running?.worker], [1n, "w1"]);

  assert.ok((await heartbeat(host, run, 60)) > new Date());
  const stranger = { ...run, lease_token: session };
  await assert.rejects(heartbeat(host, stranger, 60), refusedWith("23V05"));

  await host.$queryRaw`
    select * from pgjobs.add_artifact(
      ${run.job_id}, ${run.lease_token}::uuid, 'LOG', 'check.log', ${Buffer.from("log")}::bytea
    )`;
  const verdict = await complete(host, run, "FAILED", { tests: 12, failed: 1 });
  assert.deepEqual([verdict.status, verdict.replayed], ["FAILED", false]);
  assert.equal((await complete(host, run, "FAILED", { tests: 12, failed: 1 })).replayed, true);
  await assert.rejects(complete(host, run, "PASSED"), refusedWith("23V02"));
});

test("jobs are found by commit, by session and by status", async () => {
  await enqueue(host, session, sha("d"), "1.4");
  const job = await ledger.verificationJob.findUnique({ where: { commitSha: sha("a") } });
  assert.deepEqual(job?.summary, { tests: 12, failed: 1 });
  assert.ok(job?.completedAt instanceof Date);

  const ofSession = await ledger.verificationJob.findMany({
    where: { sessionId: session },
    orderBy: { jobId: "desc" },
  });
  assert.deepEqual(ofSession.map((each) => each.status), ["QUEUED", "FAILED"]);

  const open = await ledger.verificationJob.findMany({
    where: { status: { in: ["QUEUED", "RUNNING"] } },
  });
  assert.deepEqual(open.map((each) => each.commitSha), [sha("d")]);

  const failed = await ledger.verificationVerdict.findMany({
    where: { status: "FAILED" },
    orderBy: { completedAt: "desc" },
    take: 50,
  });
  assert.deepEqual(failed.map((each) => each.jobId), [1n]);
});

test("an attempt has its detail, and an empty list where none was given", async () => {
  await host.$queryRaw`
    select * from pgjobs.record_attempt(
      ${session}::uuid, ${sha("e")}, author => ${"ada"}, changed_files => ${["src/a.py"]}::text[]
    )`;
  const attempts = await ledger.labAttempt.findMany({
    where: { sessionId: session },
    orderBy: { attemptId: "asc" },
  });
  assert.deepEqual(attempts.map((each) => each.changedFiles), [[], [], ["src/a.py"]]);
  const one = await ledger.labAttempt.findUnique({
    where: { sessionId_commitSha: { sessionId: session, commitSha: sha("e") } },
  });
  assert.deepEqual([one?.author, one?.branch, one?.deliveryId], ["ada", null, null]);
});

test("a write through a view is refused", async () => {
  const write = ledger.$executeRaw`
    update pgjobs.verification_job set status = 'PASSED' where commit_sha = ${sha("a")}`;
  await assert.rejects(write, refusedWith("23V01"));
  const writer = ledger.verificationJob as unknown as Host["push"];
  await assert.rejects(writer.deleteMany());
  assert.equal(await ledger.verificationJob.count(), 2);
});

test("every view is read as its model says", async () => {
  const decision = Prisma.sql`reason => 'bug', actor => 'ada', approver => 'grace', ticket => 'T-1'`;
  await host.$queryRaw`select * from pgjobs.amend(1, 'FAILED', ${decision})`;
  await host.$queryRaw`select * from pgjobs.reverify(array[1], ${decision})`;
  await host.$queryRaw`select * from pgjobs.hold(${session}::uuid, 'matter', 'ada', 'T-2')`;
  const found: string[] = [];
  for (const model of Object.keys(Prisma.ModelName)) {
    const view = model[0].toLowerCase() + model.slice(1);
    const reader = ledger[view as "verificationJob"];
    if ((await reader.findMany({ take: 5 })).length > 0) found.push(model);
  }
  assert.deepEqual(found.sort(), Object.keys(Prisma.ModelName).filter((each) => each !== "BackfillReport").sort());
});

test("a bigint is text in JSON", async () => {
  const job = await ledger.verificationJob.findUnique({ where: { jobId: 1n } });
  const text = JSON.stringify(job, (_, value) =>
    typeof value === "bigint" ? value.toString() : value,
  );
  assert.equal(JSON.parse(text).jobId, "1");
});
