/* log.h - the log sink: the only state that belongs to the whole process.
 *
 * One line a message, text or JSON, on stderr unless a sink is set. Level from
 * TIDEMILL_LOG (debug, info, warn, error; default warn), form from TIDEMILL_LOG_FORMAT
 * (text, json; default text); both are read when the first message comes. Line breaks
 * and control characters are escaped. Never pass secrets.
 */
#ifndef TM_BASE_LOG_H
#define TM_BASE_LOG_H

typedef enum tm_log_level { TM_LOG_DEBUG, TM_LOG_INFO, TM_LOG_WARN, TM_LOG_ERROR } tm_log_level;

typedef void (*tm_log_fn)(void *ctx, tm_log_level level, const char *component,
                          const char *msg);

/* Set before other threads log; the sink must take calls from any thread. */
void tm_log_set_sink(tm_log_fn fn, void *ctx); /* NULL: back to stderr */
void tm_log_set_level(tm_log_level level);
/* `component` is the folder or file that speaks, such as "store". At most 16 KiB a message. */
void tm_log(tm_log_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
