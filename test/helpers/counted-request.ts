// A request as the sample counts it.
import type { CountedRequest } from '../../src/core/request-sample.js'

export function requestTo(path: string, change: Partial<CountedRequest> = {}): CountedRequest {
  return {
    key: path,
    userId: null,
    host: 'app.test',
    method: 'GET',
    path,
    isCut: false,
    rule: '',
    count: 1,
    ...change,
  }
}
