#!/usr/bin/env ruby
# frozen_string_literal: true

# Sends recordings of this BigBlueButton server to the load balancer. BigBlueButton calls it after each published
# format: /usr/local/bigbluebutton/core/scripts/post_publish/scalelite_post_publish.rb -m <record id> -f <format>
#
# Needs Ruby 2.5 or later and its standard library. Settings: scalelite.yml in the directory of this file or in its parent.
# Recordings that cannot be sent now are queued; --flush, from cron or a timer, sends them later.

require 'base64'
require 'digest'
require 'fileutils'
require 'json'
require 'net/http'
require 'openssl'
require 'optparse'
require 'shellwords'
require 'time'
require 'uri'
require 'yaml'

module Scalelite
  # A failure that may not occur again: the recording stays queued.
  class Later < StandardError; end
  # A failure that will occur again.
  class Never < StandardError; end

  RECORD_ID = /\A[0-9A-Za-z][0-9A-Za-z._-]{0,127}\z/.freeze

  # The settings of scalelite.yml; those of the original's script keep their names and meanings.
  class Settings
    DEFAULTS = {
      'url' => nil,                     # address of the balancer, https://balancer.example.com
      'secret' => nil,                  # of this server; by default read from BigBlueButton's configuration
      'spool_dir' => nil,               # instead of url: a directory, or host:directory for rsync
      'extra_rsync_opts' => [],
      'work_dir' => '/var/bigbluebutton/recording/scalelite',
      'queue_dir' => '/var/bigbluebutton/recording/scalelite/queue',
      'published_dir' => '/var/bigbluebutton/published',
      'done_dir' => '/var/bigbluebutton/recording/status/published',
      'delete_recording' => false,      # remove the local files of sent recordings
      'attempts' => 5,                  # attempts before a recording stays in the queue
      'ca_file' => nil,                 # certificates of your own certificate authority
      'open_timeout' => 10,
      'read_timeout' => 120
    }.freeze
    PROPERTIES = [
      '/etc/bigbluebutton/bbb-web.properties',
      '/usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties'
    ].freeze

    def self.load(path)
      beside = [File.join(__dir__, 'scalelite.yml'), File.expand_path('../scalelite.yml', __dir__)]
      found = path || beside.find { |file| File.file?(file) }
      raise Never, "no scalelite.yml: looked for #{beside.join(', ')}" unless found

      given = YAML.safe_load(File.read(found)) || {}
      raise Never, "#{found} is no list of settings" unless given.is_a?(Hash)

      new(DEFAULTS.merge(given))
    end

    def initialize(values)
      @values = values
      return if values['url'] || values['spool_dir']

      raise Never, 'scalelite.yml needs url or spool_dir'
    end

    def [](name)
      @values.fetch(name)
    end

    def secret
      @secret ||= self['secret'] || own_secret || raise(Never, 'no secret: neither in scalelite.yml nor in bbb-web.properties')
    end

    private

    def own_secret
      PROPERTIES.each do |file|
        next unless File.readable?(file)

        line = File.foreach(file).find { |text| text.start_with?('securitySalt=') }
        return line.split('=', 2).last.strip if line
      end
      nil
    end
  end

  # A recording and its formats that are published on this server.
  class Recording
    attr_reader :id

    def initialize(settings, id)
      raise Never, "#{id.inspect} is no id of a recording" unless RECORD_ID.match?(id)

      @settings = settings
      @id = id
    end

    def formats
      Dir.children(@settings['published_dir']).select { |format| File.file?(path(format, 'metadata.xml')) }.sort
    rescue Errno::ENOENT
      []
    end

    # Creates one archive of all formats. The same files give the same bytes, so that an upload can continue.
    def archive(into, formats)
      FileUtils.mkdir_p(into)
      target = File.join(into, "#{@id}.tar")
      command = %w[tar --create --sort=name --owner=0 --group=0 --numeric-owner --format=gnu]
      command += ['--file', target, '--directory', @settings['published_dir'], '--']
      command += formats.map { |format| File.join(format, @id) }
      raise Later, 'tar failed' unless system(*command)

      target
    end

    def delete(formats)
      formats.each { |format| FileUtils.rm_rf(path(format)) }
    end

    private

    def path(format, *more)
      File.join(@settings['published_dir'], format, @id, *more)
    end
  end

  # Sends archives by HTTPS: whole, or from where the last attempt was interrupted.
  class Upload
    def initialize(settings)
      @settings = settings
      @base = URI.parse(settings['url'].chomp('/'))
      raise Never, 'url must begin with https:// or http://' unless @base.is_a?(URI::HTTP)
    end

    def carry(archive, id)
      uri = URI.parse("#{@base}/scalelite/recordings/upload/#{id}")
      sha256 = Digest::SHA256.file(archive)
      connect(uri) do |http|
        offset = received(http, uri, id, archive, sha256)
        deliver(http, uri, id, archive, sha256, offset)
      end
      FileUtils.rm_f(note(archive))
    rescue SystemCallError, SocketError, IOError, Timeout::Error, OpenSSL::SSL::SSLError, Net::ProtocolError => e
      raise Later, "#{@base.host}: #{e.message}"
    end

    private

    def connect(uri, &block)
      options = {
        use_ssl: uri.scheme == 'https', ca_file: @settings['ca_file'],
        open_timeout: @settings['open_timeout'], read_timeout: @settings['read_timeout'],
        write_timeout: @settings['read_timeout']
      }
      options.delete(:write_timeout) unless Net::HTTP.method_defined?(:write_timeout=)
      Net::HTTP.start(uri.host, uri.port, options, &block)
    end

    # Returns how many bytes of this archive the balancer already has.
    def received(http, uri, id, archive, sha256)
      known = File.exist?(note(archive)) && File.read(note(archive)).strip == sha256.hexdigest
      File.write(note(archive), sha256.hexdigest)
      return 0 unless known

      answer = http.request(prepared(Net::HTTP::Head.new(uri), id))
      check(answer)
      offset = answer['Upload-Offset'].to_i
      offset <= File.size(archive) ? offset : 0
    end

    def deliver(http, uri, id, archive, sha256, offset)
      size = File.size(archive)
      request = prepared(offset.zero? ? Net::HTTP::Put.new(uri) : Net::HTTP::Patch.new(uri), id)
      request['Repr-Digest'] = "sha-256=:#{sha256.base64digest}:"
      request['Upload-Length'] = size.to_s
      request['Upload-Offset'] = offset.to_s
      request['Content-Type'] = 'application/x-tar'
      request['Content-Length'] = (size - offset).to_s
      File.open(archive, 'rb') do |file|
        file.seek(offset)
        request.body_stream = file
        answer = http.request(request)
        check(answer)
        raise Later, "the upload is not complete: #{answer.code}" unless answer.code == '201'
      end
    end

    def prepared(request, id)
      request['Authorization'] = "Bearer #{token(id)}"
      request['User-Agent'] = 'scalelite_post_publish'
      request
    end

    # Returns a JWT (HS256, this server's secret) for this recording that is valid for ten minutes.
    def token(id)
      encode = ->(text) { Base64.urlsafe_encode64(text, padding: false) }
      claims = { aud: 'scalelite-upload', sub: id, exp: Time.now.to_i + 600 }
      signed = "#{encode.call(JSON.generate(alg: 'HS256', typ: 'JWT'))}.#{encode.call(JSON.generate(claims))}"
      "#{signed}.#{encode.call(OpenSSL::HMAC.digest('SHA256', @settings.secret, signed))}"
    end

    def check(answer)
      return if answer.is_a?(Net::HTTPSuccess)

      why = begin
        JSON.parse(answer.body.to_s)['error']
      rescue JSON::ParserError
        nil
      end
      text = "#{@base.host} answers #{answer.code}#{why ? ": #{why}" : ''}"
      # A refused token or a recording that is too large will be refused again.
      raise Never, text if %w[400 401 403 404 405 413].include?(answer.code) && !text.include?('broke off')

      raise Later, text
    end

    def note(archive)
      "#{archive}.sha256"
    end
  end

  # Sends archives as the original's script does: by rsync into the spool directory, which may be mounted here.
  class Rsync
    def initialize(settings)
      @settings = settings
    end

    def carry(archive, _id)
      options = Array(@settings['extra_rsync_opts']).map(&:to_s)
      target = "#{@settings['spool_dir'].chomp('/')}/"
      command = ['rsync', '--verbose', '--protect-args', *options, archive, target]
      raise Later, "rsync failed: #{command.shelljoin}" unless system(*command)
    end
  end

  # The queue of recordings that must be sent: a small file for each, so that a crash loses none.
  class Queue
    def initialize(settings)
      @settings = settings
      @dir = settings['queue_dir']
      FileUtils.mkdir_p(@dir)
    end

    def add(id)
      # If the text changes while the recording is sent, it must be sent again.
      File.write(mark(id), "#{Time.now.utc.iso8601(6)} #{Process.pid}\n")
    end

    def ids
      Dir.children(@dir).select { |name| RECORD_ID.match?(name) && File.file?(mark(name)) }.sort
    end

    def state(id)
      File.read(mark(id))
    rescue Errno::ENOENT
      nil
    end

    def remove(id)
      FileUtils.rm_f(mark(id))
    end

    # Only one process at a time sends a recording. For any other process this returns :busy.
    def exclusively(id)
      File.open(File.join(@dir, ".#{id}.lock"), File::RDWR | File::CREAT, 0o644) do |lock|
        return :busy unless lock.flock(File::LOCK_EX | File::LOCK_NB)

        yield
      end
    end

    private

    def mark(id)
      File.join(@dir, id)
    end
  end

  # Sends recordings, as the options of the command line say.
  class Sender
    def initialize(settings, log: $stderr)
      @settings = settings
      @log = log
      @queue = Queue.new(settings)
      @carrier = settings['url'] ? Upload.new(settings) : Rsync.new(settings)
    end

    # Sends a recording of which a format was published. If that fails, it is sent by --flush or after the next recording.
    def published(id)
      Recording.new(@settings, id)
      @queue.add(id)
      attempt(id, @settings['attempts']) && flush
    end

    # Sends all queued recordings.
    def flush
      @queue.ids.map { |id| attempt(id, 1) }.all?
    end

    # Sends all recordings that are published here and were never sent, or all with force.
    def batch(force: false)
      ids = Dir.glob(File.join(@settings['published_dir'], '*', '*', 'metadata.xml'))
      ids = ids.map { |file| File.basename(File.dirname(file)) }.uniq.select { |id| RECORD_ID.match?(id) }.sort
      ids = ids.reject { |id| File.exist?(done(id)) } unless force
      ids.each { |id| @queue.add(id) }
      ids.each_with_index.map do |id, at|
        say("#{at + 1} of #{ids.length}: #{id}")
        attempt(id, @settings['attempts'])
      end.all?
    end

    private

    def attempt(id, attempts)
      pause = 2
      attempts.times do |n|
        outcome = send_once(id)
        return true if outcome == :sent
        return false if outcome == :never || n == attempts - 1

        sleep(pause * (0.5 + rand))
        pause = [pause * 2, 60].min
      end
      false
    end

    def send_once(id)
      result = @queue.exclusively(id) do
        loop do
          state = @queue.state(id)
          break if state.nil?

          transfer(Recording.new(@settings, id))
          # Another format may have been published meanwhile.
          @queue.remove(id) if @queue.state(id) == state
        end
        :sent
      end
      # The process that is sending it notices that it must be sent again.
      result == :busy ? :sent : result
    rescue Later => e
      say("#{id} waits: #{e.message}")
      :later
    rescue Never => e
      say("#{id} cannot be sent: #{e.message}")
      :never
    end

    def transfer(recording)
      formats = recording.formats
      return say("#{recording.id}: nothing is published here") if formats.empty?

      archive = recording.archive(@settings['work_dir'], formats)
      @carrier.carry(archive, recording.id)
      FileUtils.rm_f(archive)
      FileUtils.mkdir_p(@settings['done_dir'])
      FileUtils.touch(done(recording.id))
      recording.delete(formats) if @settings['delete_recording']
      say("#{recording.id}: sent #{formats.join(', ')}")
    end

    def done(id)
      File.join(@settings['done_dir'], "#{id}-sender.done")
    end

    def say(text)
      @log.puts("#{Time.now.utc.iso8601} scalelite: #{text}")
    end
  end

  # Runs the command line. Exit codes: 0 sent or nothing to do, 1 queued or cannot be sent, 2 wrong usage.
  def self.main(arguments)
    options = {}
    parser = OptionParser.new do |opts|
      opts.banner = 'usage: scalelite_post_publish.rb -m RECORD_ID [-f FORMAT] | --flush | --batch [--force]'
      opts.on('-m', '--meeting-id ID', 'id of the recording') { |id| options[:id] = id }
      opts.on('-f', '--format FORMAT', 'the published format (ignored: all formats are sent)') { |format| options[:format] = format }
      opts.on('--flush', 'send all queued recordings') { options[:flush] = true }
      opts.on('--batch', 'send all recordings that were never sent') { options[:batch] = true }
      opts.on('--force', 'with --batch: also send recordings that were sent before') { options[:force] = true }
      opts.on('--config FILE', 'settings; default: scalelite.yml in the directory of this file or its parent') { |file| options[:config] = file }
    end
    parser.parse(arguments)
    return usage(parser) unless [options[:id], options[:flush], options[:batch]].one?

    sender = Sender.new(Settings.load(options[:config]))
    sent = if options[:id]
             sender.published(options[:id])
           elsif options[:flush]
             sender.flush
           else
             sender.batch(force: options[:force])
           end
    sent ? 0 : 1
  rescue OptionParser::ParseError => e
    warn(e.message)
    2
  rescue Never => e
    warn("scalelite: #{e.message}")
    1
  end

  def self.usage(parser)
    warn(parser.help)
    2
  end
end

exit(Scalelite.main(ARGV)) if $PROGRAM_NAME == __FILE__
