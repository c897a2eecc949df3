// The contenders of package.json, wherever `make bench` has put them: NODE_PATH names the folder.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = process.env.NODE_PATH
const { resolve } = createRequire(join(folder, '..', 'package.json'))

export const load = (name) => import(pathToFileURL(resolve(name)).href)
export const version = (name) => {
  const { version } = JSON.parse(readFileSync(join(folder, name, 'package.json')))
  return `${name} ${version}, node ${process.versions.node}`
}
