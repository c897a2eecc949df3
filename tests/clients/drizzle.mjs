// Runs the migrations of a folder with drizzle-orm's own migrator: node drizzle.mjs FOLDER
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";

const db = drizzle(process.env.DATABASE_URL);
await migrate(db, { migrationsFolder: process.argv[2] });
await db.$client.end();
