/* owner.h - who runs a run: this process, named so that another one can tell whether it lives.
 *
 *   "BOOT:PID:START"   the machine's boot id, the process id, its start in clock ticks
 *
 * A process that was killed is recognised at once, without waiting for a lease to end. (Several
 * machines on one database need leases; one SQLite file has one machine.)
 */
#ifndef TM_ENGINE_OWNER_H
#define TM_ENGINE_OWNER_H

#include <stdbool.h>

#define TM_OWNER_MAX 96

void tm_owner_self(char out[TM_OWNER_MAX]);
/* Does the process of that name live? "" and unreadable names: no. */
bool tm_owner_alive(const char *owner);

#endif
