/** What a process has used: CPU since its start, memory at this moment. */
export interface Usage {
  cpuUs: number;
  rssBytes: number;
  heapUsedBytes: number;
  externalBytes: number;
}

export function usageNow(): Usage {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { cpuUs: user + system, rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external };
}
