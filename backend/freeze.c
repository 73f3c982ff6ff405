/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/freeze.h"

#include <stdio.h>

void freeze_who(uint32_t uid, const char *command, int64_t at, char buf[FREEZE_WHO_MAX])
{
	char time[CALENDAR_TIME_MAX];
	calendar_format_time(at, time);
	if (*command)
		snprintf(buf, FREEZE_WHO_MAX, "uid %u (%.15s) at %s", uid, command, time);
	else
		snprintf(buf, FREEZE_WHO_MAX, "uid %u at %s", uid, time);
}

int freeze_refuses(struct error *err, const struct model *m, const struct store_freeze *f, ordinal batch)
{
	char name[CALENDAR_NAME_MAX], who[FREEZE_WHO_MAX];
	calendar_name(m->batch_size, batch, name);
	freeze_who(f->uid, f->command, f->at, who);
	return error_set(err, EPERM, "%s/%s was frozen by %s: chmod u+w %s thaws it", m->dir, name, who,
			 name);
}

int freeze_busy(struct error *err, const struct model *m, ordinal batch)
{
	char name[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, batch, name);
	return error_set(
		err, EBUSY,
		"%s/%s is running, or just about to: nothing was frozen; rm %s cancels it, sync %s waits "
		"for it",
		m->dir, name, name, name);
}

void freeze_why_protected(uint32_t uid, const char *command, int64_t at, char buf[FREEZE_WHY_MAX])
{
	char who[FREEZE_WHO_MAX];
	freeze_who(uid, command, at, who);
	snprintf(buf, FREEZE_WHY_MAX, "its w bits were taken away by %s (chmod u+w .full-refresh lifts that)",
		 who);
}

int freeze_too_late(struct error *err, const struct model *m)
{
	return error_set(
		err, EBUSY,
		"%s is being refreshed in full, and its table is made anew: rm .full-refresh cancels "
		"that, sync .full-refresh waits for its end",
		m->dir);
}

int refresh_protected(struct error *err, const struct model *m, const char *because)
{
	return error_set(err, EPERM,
			 "%s is protected against a full refresh, because %s: touch a period or a range to "
			 "rebuild a part of it",
			 m->dir, because);
}

int refresh_frozen(struct error *err, const struct model *m, const struct store_freeze *f, ordinal batch)
{
	char name[CALENDAR_NAME_MAX], who[FREEZE_WHO_MAX];
	calendar_name(m->batch_size, batch, name);
	freeze_who(f->uid, f->command, f->at, who);
	return error_set(
		err, EPERM,
		"a full refresh of %s would rebuild %s, which was frozen by %s: chmod u+w %s thaws it",
		m->dir, name, who, name);
}

int refresh_busy(struct error *err, const struct model *m, const struct store_freeze *by)
{
	char who[FREEZE_WHO_MAX];
	freeze_who(by->uid, by->command, by->at, who);
	return error_set(
		err, EBUSY,
		"a full refresh of %s is under way, which was asked for by %s: sync .full-refresh waits "
		"for its end, rm .full-refresh cancels it",
		m->dir, who);
}
