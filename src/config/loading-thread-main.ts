// The thread of loading-thread.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { answer, type Task } from './loading-thread.js'

parentPort?.postMessage(answer(workerData as Task))
