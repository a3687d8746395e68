import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/** A sink that reports every record with a value as bad; its setting "message" is the exception's, if there is one. */
public class ReportingSink extends SinkConnector {
    private Map<String, String> settings;

    @Override public void start(Map<String, String> given) { settings = given; }
    @Override public Class<? extends Task> taskClass() { return ReportingTask.class; }
    @Override public List<Map<String, String>> taskConfigs(int most) { return List.of(settings); }
    @Override public void stop() { }
    @Override public ConfigDef config() { return new ConfigDef(); }
    @Override public String version() { return "1"; }

    public static class ReportingTask extends SinkTask {
        private String message;

        @Override public void start(Map<String, String> settings) { message = settings.get("message"); }
        @Override public void stop() { }
        @Override public String version() { return "1"; }

        @Override public void put(Collection<SinkRecord> records) {
            for (SinkRecord record : records) {
                if (record.value() != null) {
                    context.errantRecordReporter().report(record, new DataException(message));
                }
            }
        }
    }
}
